use dryport_lab::*; use std::time::Instant;
fn main(){ Privilege::enter().unwrap(); let mut v=vec![];
 for _ in 0..60 { let t=Instant::now(); let l=Lab::veth().unwrap(); let a=t.elapsed();
 let k=l.server().run(||std::net::TcpListener::bind("[::]:9000").unwrap()).unwrap();
 let t=Instant::now(); let r=l.client().run(||std::net::TcpStream::connect("10.77.0.2:9000").map(|_|())).unwrap(); r.unwrap(); let x=t.elapsed(); 
 let t=Instant::now(); let r=l.client().run(||std::net::TcpStream::connect("[fd77::2]:9000").map(|_|())).unwrap(); r.unwrap(); let y=t.elapsed(); v.push((a,x,y)); drop(k); }
 v.sort(); println!("{:?} {:?} max connect {:?} {:?}",v[30].0,v[59].0,v.iter().map(|x|x.1).max(),v.iter().map(|x|x.2).max());
}
